"""Online learning on chains of edge devices: device and link profiles, simulation, and the same chains in real time."""
