"""Online learning on chains of edge devices: profiles, links, and what is simulated of them."""
