"""The floor: contracts, derivations, state and settings that every other room shares."""
