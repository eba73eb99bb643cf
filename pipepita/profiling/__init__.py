"""What this device, and the link to another one, are measured to do: `pipepita profile`."""
