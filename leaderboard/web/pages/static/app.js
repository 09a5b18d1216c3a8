// What JavaScript adds to the pages. Without it they are whole and usable.
