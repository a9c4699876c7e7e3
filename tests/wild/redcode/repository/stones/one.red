step 5
first 7
add
bomb
jump 1
