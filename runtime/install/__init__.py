"""Installs what the platform runs on: jars and a Java runtime."""
