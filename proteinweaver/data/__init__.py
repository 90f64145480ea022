"""Structure sets, tasks cut from structures, and batches."""
