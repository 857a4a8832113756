print("lesson 1")
