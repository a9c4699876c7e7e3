step 3
first 9
bomb
add
jump 0
