"""What devices and links are: figures with a source each, read, written and measured."""
