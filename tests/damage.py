"""Files that are not as they were written."""


def flip_a_bit(path, place=-1):
    """Change one bit of a file, in its last byte unless another is named."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
