"""Reading and writing structures, selections, and run folders."""
