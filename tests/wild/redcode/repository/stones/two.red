step 11
first 2
add
add
bomb
jump 1
