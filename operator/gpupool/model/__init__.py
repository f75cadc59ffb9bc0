"""The words of the domain: frozen values, standard library only (DESIGN.md, section 2)."""
