"""What reads a store where it is; besides Python and xxhash, these modules need nobody but each
other, so that they run in a container in which no package of ours is.
"""
