"""What builds, places and counts the processes of this project."""
