"""How Redis is reached, what its failures mean, and how soon it is asked again."""
