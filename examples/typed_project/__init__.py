"""A small shop, typed from end to end: `python -m typed_project.main`, in the folder of the examples."""
