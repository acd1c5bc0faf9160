"""From a pile of photos to a set of pairs, stage by stage: collect, detect, cut out, draw, pair."""
