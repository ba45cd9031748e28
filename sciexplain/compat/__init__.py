"""The same explanations behind the calls of other libraries, none of which is imported or needed.

``sciexplain.compat.captum``: objects with captum's ``attribute``. ``sciexplain.compat.quantus``: an ``explain_func``
for Quantus' metrics. ``sciexplain.compat.tables``: arrays and data frames in, the same out, for scikit-learn users.
"""
