"""What samples in flight do to the accuracy, form by form."""
