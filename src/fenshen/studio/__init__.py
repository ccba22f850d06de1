"""The studio: all of fenshen in the browser. A thin face over `fenshen.api`; nothing here trains, measures or makes by itself.

door.py     the address, and the lock                  guard.py   who may ask for what
server.py   the program: starts, answers, stops        frame.py   what every page has around it
face.py     what every page is given                   theme.py   how it looks, with studio.css
desk.py     trainings: one after the other, each a process of its own (worker.py), found again by whoever comes back
shelf.py    runs that stay open (opened.py)            errand.py  long work, in a thread that a page looks at; dictation.py: a text
easel.py    pictures on the page Make                  hanging.py how they are shown
pages/      one file each
"""
