"""The published comparison of generators on ETTh1, beside its floors."""
