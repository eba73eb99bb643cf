"""The version of pipepita."""

__version__ = "0.1.0"
