//! A vault of format 1 as it was first written: every later version opens it.
