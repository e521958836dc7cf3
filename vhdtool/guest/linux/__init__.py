"""A Linux or BSD guest by its files: one module per artifact, and `LinuxGuest` over them."""
