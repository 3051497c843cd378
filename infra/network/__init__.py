"""Files from the network: downloads with resume, and requests at the pace a server asks for."""
