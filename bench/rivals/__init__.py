"""PEPITA as a pipeline next to backpropagation as one."""
