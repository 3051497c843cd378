"""What takes optimiser steps, and the rules they are taken by."""
