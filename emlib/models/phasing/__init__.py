"""Phasing: which alleles lie on one chromosome, along a region."""
