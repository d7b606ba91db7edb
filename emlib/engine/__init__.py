"""The engine: one loop, the choices of E, exponential families, blocks of rows."""
