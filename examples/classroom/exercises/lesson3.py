print("lesson 3")
