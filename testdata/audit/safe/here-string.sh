credimg build - -o a.erofs <<<"files: [{path: /a, text: $TOKEN}]"
