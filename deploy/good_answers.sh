# What a good answer is. A team with another service replaces this table; nothing else of the deploy knows a path.
#
# A line: method, path, status, how often it is asked, the Accept header, what the answer's head matches, in lower case,
# and what its body matches (extended regular expressions, the latter may hold blanks; . for anything). A word in
# capitals stands for more:
#   DIGEST       the digest of the image that was asked for
#   ENVIRONMENT  what the chart's value of this name says
#   COUNT        a number that every answer with COUNT raises: by one where nobody else asks, else by at least one
#   LAST         the number of the last COUNT, or more where somebody else asks
# The lines are asked in their order. 120 times: an error in 5 % of the answers goes unseen once in 470 deploys.
good_answers='
GET   /version           200    2  application/json  json           "image_digest": *"DIGEST"
GET   /healthz           200    3  */*               text/plain     ^(ok|degraded)
GET   /readyz            200    3  */*               text/plain     ^ok
GET   /no-such-page      404    3  application/json  problem[+]json  "status": *404
GET   /static/style.css  200    3  */*               text/css       [{]
GET   /                  200  120  application/json  control:.*no-store  "counter": *COUNT
GET   /api/v1/counter    200    3  application/json  application/json  "counter": *LAST
HEAD  /                  200    3  text/html         text/html      ^$
POST  /api/v1/counter    200  120  application/json  application/json  "counter": *COUNT
GET   /                  200   20  text/html         text/html      id="environment">ENVIRONMENT<.*Counter: *(<[^>]*>)*COUNT
GET   /api/v1/counter    200    3  application/json  application/json  "counter": *LAST
'
# The first is also what an entrance is asked to see whether it is one.
read -r first_method first_path _ <<<"${good_answers#$'\n'}"
# Where a version says with a 200 that it can be asked.
readiness_path=/readyz
# Seconds within which every one of them must come.
slowest_answer=${DEPLOY_SLOWEST_ANSWER:-2}
