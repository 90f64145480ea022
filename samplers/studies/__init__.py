"""Studies of samplers: what is run, what comes out as rows, tables and figures."""
