"""The page: a transcript as one self-contained HTML file that can be read, heard and checked."""
