print("lesson 2")
