"""Property tests of this room run in the profile that the environment names."""

from tests.support import hypothesis_profiles

hypothesis_profiles.load()
