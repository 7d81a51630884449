"""`python -m wardrobe`: the command line, where the command `wardrobe` is not on the path."""

from wardrobe.cli import main

if __name__ == "__main__":
    main(prog_name="wardrobe")
