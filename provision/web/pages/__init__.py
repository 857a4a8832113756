"""One module a page: its routes, what they show, and the pieces of it that are live. A new page is
a module here, its template in `templates/`, and a line in `provision/web/app.py`.
"""
