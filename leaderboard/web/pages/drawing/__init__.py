"""Pictures as SVG. Each function takes plain numbers and returns markup; colours and fonts are the style sheet's."""
