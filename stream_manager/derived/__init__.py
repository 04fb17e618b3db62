"""Derived events: records that a rule of ours makes from accepted ones, and that say so."""
