"""The cures that need Python for a Jupyter Book 1.x site which makes no external request.

Sphinx 7 emits the inline scripts of sphinx-thebe and sphinx-togglebutton twice on every page, and the second copy
stops with "Identifier 'THEBE_JS_URL' has already been declared". Here each script is kept once.
The cures that need JavaScript are in ``book/_static/em-static.js``.
"""


def keep_scripts_once(app, pagename, templatename, context, doctree):
    """Drop the later of two script entries with the same file and attributes."""
    scripts = context.get("script_files")
    if scripts is None:
        return
    once = {}
    for script in scripts:
        attributes = tuple(sorted((key, str(value)) for key, value in script.attributes.items()))
        once.setdefault((str(script.filename or ""), attributes), script)
    scripts[:] = once.values()


def setup(app):
    """Register with Sphinx, after the theme has added its own scripts."""
    app.connect("html-page-context", keep_scripts_once, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
