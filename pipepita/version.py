"""The version of pipepita."""

__version__ = "0.2.0"
