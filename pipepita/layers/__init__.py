"""Layers: linear maps, activities and local products. Pure torch; a layer never asks which rule it serves."""
