"""CoAgMet, Colorado's agricultural weather network: https://coagmet.colostate.edu/data/doc.html"""
