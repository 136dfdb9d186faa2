"""The catalogue: every row of a zone, in memory or in SQL, behind one transaction call."""
