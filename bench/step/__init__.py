"""What a PEPITA step costs next to an autograd backpropagation step."""
