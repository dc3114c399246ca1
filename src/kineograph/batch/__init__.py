"""Many clips into one folder: resumable, with a manifest for each clip and a summary of all.

Nothing here knows tables or templates: what comes in is a list of orders, what goes out are outcomes.
"""
