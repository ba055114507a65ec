"""Trains, judges and packages the denoisers that Wheeltapper ships."""
