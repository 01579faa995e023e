"""What the object stores have in common."""
