"""Networks: an ordinary `nn.Sequential` is cut into layers, trained, and given back."""
