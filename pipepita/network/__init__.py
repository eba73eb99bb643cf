"""Networks: an ordinary `nn.Sequential` goes in, is cut into layers, and comes back trained."""
